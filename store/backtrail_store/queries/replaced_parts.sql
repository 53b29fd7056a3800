-- How many parts lie on disk that no query reads any more.
SELECT count()
FROM system.parts
WHERE NOT active AND database = currentDatabase() AND table IN {tables:Array(String)}
