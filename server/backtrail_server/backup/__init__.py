"""The embedded data folder as one file, and back.

admin.backup, commands.backup → **backup**: contents, archive → FILE
commands.restore → **backup**: restore → data folder
"""
