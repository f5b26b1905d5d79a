"""How much memory a device has left, and noticing that it ran out."""

import torch

ASSUMED_FREE = 2 * 1024**3


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's memory ran out; MPS and the CPU say so in a plain RuntimeError."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    message = str(error).casefold()
    return isinstance(error, RuntimeError) and ("out of memory" in message or "can't allocate memory" in message)


def free_memory(device: torch.device) -> int:
    """Bytes that a forward may use on `device` now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            available = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(available.split()[1]) * 1024
    except (OSError, StopIteration):
        return _free_memory_elsewhere()


def _free_memory_elsewhere() -> int:
    try:
        import psutil
    except ImportError:
        return ASSUMED_FREE
    return int(psutil.virtual_memory().available)
