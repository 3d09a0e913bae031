"""A pretrained text encoder with a ridge regression, also of n-grams."""

from kzoo.zoo.registry import Preset, register

register(Preset(
    name="text_pretrained", family="sentence_encoder", task="text_classification", dataset="pydocs",
    summary="Texts in 16 languages, even if labels are few: a frozen pretrained encoder and a ridge regression.",
    reference="https://aclanthology.org/2020.acl-demos.12", params=69_051_668,
    config=dict(inputs="tokens", input_shape=(None,), outputs=2, target_scale=None),
    training=dict(optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=1, precision="float32",
                  metrics=("accuracy",), tokenizer="pieces"),
))

register(Preset(
    name="text_pretrained_ngrams", family="sentence_encoder", task="text_classification", dataset="pydocs",
    summary="Texts in 16 languages: a ridge regression on a frozen pretrained encoder and on n-grams.",
    reference="https://aclanthology.org/2020.acl-demos.12", params=69_697_815,
    config=dict(inputs="tokens", input_shape=(None,), outputs=2, pair_buckets=65_536, target_scale=None),
    training=dict(optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=1, precision="float32",
                  metrics=("accuracy",), tokenizer="pieces"),
))
