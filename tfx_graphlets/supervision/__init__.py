"""Work that may hang, abort or eat memory, in a process of its own with limits.

``parent`` starts the process and ends it at its limits, ``child`` is what runs
in it, ``tasks`` what it can be asked to do. What passes between the two is
plain: JSON and the content of files.
"""
