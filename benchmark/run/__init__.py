"""One training on this machine, or on several, from preparing its data to its last evaluation; writes a record.

finished = session.run(job.Job(platform=..., workload=..., name="r1"), say=print)

session.py   a run from its preparation to its end
prepared.py  a job made ready: data, decoder, devices, and what follows from them
attempt.py   training with all that goes on meanwhile, until its end is written down
company.py   several machines: what the chief does for the others, and what they do
loop.py      performs one phase after the other and writes a row for each
trouble.py   TensorFlow's errors in sentences

prepare/     what is asked for, and what it needs: data, devices, how the run is made
state/       where a run stands and what comes next; checkpoints; which run a command goes on with
train/       the TensorFlow side of every phase: batches, the training step, optimisers, the swap of models
evaluate/    transcribes a set of utterances and counts errors; decoders in worker processes
watch/       what goes on during training: sampler, signals, other load, the view
transcribe/  what a trained run hears in any recording
machines/    what several machines say to one another
"""
