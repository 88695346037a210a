"""One file per credential provider, and the catalogue that maps a source Secret to its provider."""
