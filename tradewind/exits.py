"""Exit codes of the command, the same everywhere.

0  done; for `verify`: no differences
1  done, but something is wrong: the totals do not add up, differences were found, an event was refused
2  could not begin: wrong option, port or folder in use, store or pipeline not reachable
"""

FINE = 0
BROKEN = 1
UNUSABLE = 2
