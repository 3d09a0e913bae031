"""The inference half of texts: words or characters to ids; generation."""
