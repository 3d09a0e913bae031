"""The fitting half of texts: vocabularies, language models, the pretrained text encoder."""
