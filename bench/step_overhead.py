"""What a decorated step costs the thread that calls it, beside a bare OTel span that carries the same attributes.

    @step (input and result recorded)  |  tracer.start_as_current_span + set_attributes

Both go through the same kind of processor into nothing, in alternating rounds of one process, so that the machine's
moods meet both. The attributes of the bare span are read from a step's span first: same names, same values.

    python -m bench.step_overhead
"""
