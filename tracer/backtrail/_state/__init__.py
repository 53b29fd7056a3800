"""What a run and its agents know, as deltas and snapshots from which the server rebuilds it at any point.

contexts → **state** → deltas on steps, checkpoint spans
"""
