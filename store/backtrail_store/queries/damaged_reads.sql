-- How often this engine met bytes on the disk that are not what was written, and what it said the last time.
SELECT sum(value) AS times, argMax(last_error_message, last_error_time) AS message
FROM system.errors
WHERE name IN ('CHECKSUM_DOESNT_MATCH', 'CANNOT_DECOMPRESS', 'CORRUPTED_DATA', 'NO_FILE_IN_DATA_PART')
HAVING times > 0
