"""The machine: its files, memory, processes, signals and programs; nothing here knows what a dream is."""
