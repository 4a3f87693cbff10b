import os

# Pictures are drawn without a screen, here and in the processes that tests start.
os.environ.setdefault("MPLBACKEND", "agg")
