"""One training on several machines: who takes part, how they talk, who leads and who follows.

The machines of a run are its hosts, numbered by rank. Rank 0, the chief, decides which phase comes next and writes the
run; the others are told what to do, and their replicas join in the same collective operations of TensorFlow.

    channel.py    messages between the chief and the others, and the watch that notices when one is lost
    guard.py      ends this process where TensorFlow lets no thread of ours do so
    agreement.py  what hosts compare before they train together
    timed.py      what one host does, with the time it took by itself
    lead.py       the chief's trainer
    follow.py     what the other hosts do
"""
