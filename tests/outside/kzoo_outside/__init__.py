"""What packages of other people may bring, with no file of kzoo changed."""
