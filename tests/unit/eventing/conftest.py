"""Property tests run without a deadline for an example: a busy machine is no defect."""

from hypothesis import settings

settings.register_profile("eventing", deadline=None)
settings.load_profile("eventing")
