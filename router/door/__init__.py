"""What the world meets: sockets, pages, uploads, and the outbox behind them.

What is decided about a packet is in board/; the process around it is in process/.
"""
