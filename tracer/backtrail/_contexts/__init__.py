"""What the user's code sees of the run, the agent and the step it works for.

user's code → **contexts** → runs, state
"""
