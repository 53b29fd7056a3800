"""Our own spans, who makes them, and which runs are sent.

runs → **spans** → delivery, and whoever else looks on
"""
