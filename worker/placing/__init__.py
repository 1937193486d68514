"""Which slot trains what: on the CPU the next free one, on GPUs as their memory allows."""

from worker.placing.protocol import Placing, SlotView

__all__ = ["Placing", "SlotView"]
