"""One training on several machines: who takes part, how they talk, who leads and who follows.

The machines of a run are its hosts, numbered by rank. Rank 0, the chief, decides which phase comes next and writes the
run; the others are told what to do, and their replicas join in the same collective operations of TensorFlow.

    hosts       which machines, and which of them this one is: from --hosts, TF_CONFIG, Slurm or mpirun
    channel     messages between the chief and the others, and the watch that notices when one is lost
    guard       ends this process where TensorFlow lets no thread of ours do so
    agreement   what hosts compare before they train together
    lead        the chief's trainer
    follow      what the other hosts do
"""
