"""A whole corpus as TFRecord shards and a manifest.

extraction.py  planned, written on all cores, merged
records.py     the schema of a shard, once: written and parsed here
tfrecord.py    the file format of a shard
apart.py       whether training and evaluation have recordings or speakers in common
manifest.py    what a folder of shards holds
account.py     how much of a corpus that is, and what was left out, in sentences
"""

DTYPES = ("float16", "float32")
COMPRESSIONS = ("none", "gzip")
