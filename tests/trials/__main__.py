"""python -m tests.trials: the trials there are."""

import tests.trials

print(tests.trials.__doc__.strip())
