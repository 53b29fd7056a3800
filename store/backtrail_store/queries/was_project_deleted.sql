-- Whether a project of this name was deleted, at any time: its rows stay, and only FINAL leaves them out.
SELECT count() > 0
FROM projects
WHERE name = {name:String} AND is_deleted
