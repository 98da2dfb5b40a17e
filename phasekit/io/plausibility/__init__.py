"""What a file states is compared with what the technique can be: one rule for each quantity, with its reason."""
