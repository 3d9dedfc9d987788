"""One training on this machine, or on several, from preparing its data to its last evaluation; writes a record.

finished = session.run(job.Job(platform=..., workload=..., name="r1"), say=print)

job.py          what the command line asks for
session.py      a run from its preparation to its end
loop.py         performs one phase after the other and writes a row for each
progress.py     where a run stands, and what comes next: a pure state machine
trouble.py      TensorFlow's errors in sentences
resume.py       which run a command goes on with
interrupts.py   handles Ctrl-C, SIGTERM and SIGHUP
view.py         shows the run while it is under way
monitor.py      starts and ends sampler.py, which writes utilisation.csv
gpus.py         the machine's GPUs as NVML shows them
neighbours.py   looks for other load on the machine
provenance.py   finds out how the run is made

data.py         finds the workload's features, or makes them
devices.py      a platform's replicas under tf.distribute
task.py         what is trained, on which data, on which devices
trainer.py      the TensorFlow side of every phase
host.py         what one machine does of it; machines/ has what several say to one another
input.py        batches for a training step, cut for the replicas
step.py         the training step
optimisers.py   the optimisers that recipes name
swap.py         exchanges the training model and the evaluation model
checkpoints.py  weights and optimiser on disk
evaluation.py   transcribes a set of utterances with a model
decoding.py     worker processes that decode
accuracy.py     error rates
final.py        a run's checkpoints on every dev and test subset
"""
