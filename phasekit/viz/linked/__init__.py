"""Parts of the explorers: what a view shows, its live twin in the browser, its static twin, gestures and controls."""
