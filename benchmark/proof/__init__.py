"""Is a result true? Sealed runs that anyone can check without trust, and a gallery of them.

    seal(Path("results/a"), Path("a.tta.zip"), Wish())      # one file with all that proves a run
    verify(Path("a.tta.zip"), Ask()).status                 # 0 verified, 1 refuted, 2 cannot

seal.py        a run into a bundle
bundle.py      the zip file: written so that the same run gives the same bytes, read so that nothing hostile passes
manifest.py    seal.json: SHA-256 of every file, the chain over the journal's rows
private.py     takes paths, host and user names out
tensors.py     the weights alone of a checkpoint, without TensorFlow
said.py        what was said in the evaluated recordings, as the digest of the features has it
claims.py      the figures that a bundle claims
signature.py   ssh-keygen's signatures
verify.py      a bundle, level by level
verdict.py     levels, and what a verification says
unpacked.py    a bundle as a run on disk, for a while
at_bytes.py    the level *bytes*: parts that belong together
at_figures.py  the level *figures*: figures that follow from what was recorded
peaks.py       the most that a device can compute
child.py       the levels *weights* and *replay*: what a child process computed, against the journal
again          that child process, which alone loads TensorFlow
site           the gallery: a folder of static pages

What no level can see stands in docs/proof.md.
"""
