"""Phase maps beside the simple methods and Mantis."""
