"""Storage at addresses: buckets, web servers and data sets of hubs.

`storage_of` opens a folder or an address. Addresses are parsed in `kzoo/utils/address.py`. Buckets are read by the
clients of `fsspec` (extra `cloud`), which is imported when it is needed. Standard library only.
"""
