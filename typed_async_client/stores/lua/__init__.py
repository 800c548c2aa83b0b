"""The Lua scripts that decide inside Redis, one per decision.

Their semantics are those of the policies, whose names the modules have. All of them use the clock
of the server, so the clocks of the clients don't matter. Each touches one key, so it is atomic in a
cluster too, and lets the key expire when the state is as good as new.

Numbers with fractions are sent as text, since Redis cuts off what follows the point.
"""
