"""The inference half of images: files to pixels."""
