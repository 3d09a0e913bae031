"""Chinese, a file for each area: English sentence -> the same in Chinese, in `WORDS`. `i18n.py` loads them."""
