"""What a backend implements or is handed: architect, site, bundle, provider, and how they are found by name.

What drives them is in run/ and launch/; nothing here opens a ledger or reads a task file.
"""
