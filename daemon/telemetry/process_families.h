// The daemon's own process, by the names that every Prometheus client gives them.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

namespace buildwarden::telemetry {

// process_cpu_seconds_total, process_resident_memory_bytes, process_virtual_memory_bytes, process_open_fds,
// process_max_fds, process_start_time_seconds. What cannot be read is left out.
void add_process(std::vector<prometheus::MetricFamily>& families);

}  // namespace buildwarden::telemetry
