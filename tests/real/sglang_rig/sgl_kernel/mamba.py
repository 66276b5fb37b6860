"""The kernels of state-space models: imported by name, absent here."""

from . import absent

causal_conv1d_fn_cpu = absent("causal_conv1d_fn_cpu")
causal_conv1d_update_cpu = absent("causal_conv1d_update_cpu")
chunk_gated_delta_rule_cpu = absent("chunk_gated_delta_rule_cpu")
