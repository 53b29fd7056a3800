-- The projects there are, in the order of their names.
SELECT name, toUnixTimestamp64Milli(created_time) AS created_unix_milli, spans_days, contents_days
FROM projects FINAL
ORDER BY name
