-- When the rows of one partition came in, whatever time they say they began.
SELECT min(received_time), max(received_time)
FROM {table:Identifier}
WHERE _partition_id = {partition_id:String}
