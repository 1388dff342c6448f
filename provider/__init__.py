"""What can be asked of the back office, and what it runs on."""

import gc

USUAL = gc.get_threshold()
"""How seldom Python looks for garbage by itself."""

# A server that starts makes 150,000 objects that stay. To look for garbage among them whenever there are 700 more takes
# a tenth of its start.
gc.set_threshold(50_000, 20, 50)
