"""What the query API answers, as objects and for people's eyes.

client, cli → **reading** → terminal
"""
