"""Chinese, a file for each area: English sentence -> the same in Chinese, in `WORDS`. `kzoo/language.py` loads them."""
