"""Run and judge: a time-to-accuracy benchmark of speech-recognition training.

phases.py      what a run does next: a pure state machine
journal.py     what a run did: one CSV row a phase
clock.py       when it did it
workloads.py   what is learnt
data.py        corpus and features of a workload, made when missing
devices.py     a platform's replicas under tf.distribute
trainer.py     the TensorFlow side of every phase
accuracy.py    error rates
monitor.py     utilisation, sampled by a process of its own
provenance.py  run.json: with what a run was made
view.py        the live view of a run
tta.py         the judge: python -m benchmark.tta results/*.csv
install.py     makes .venv; needs nothing but Python
__main__.py    python -m benchmark --platform NAME --workload NAME; the only module that imports everything
"""
