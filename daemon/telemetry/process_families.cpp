#include "daemon/telemetry/process_families.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

#include "daemon/telemetry/family.h"

namespace buildwarden::telemetry {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

struct ProcessStat {
  double cpu_seconds = 0;
  double started = 0;  // seconds after the boot
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_bytes = 0;
};

// proc(5), /proc/[pid]/stat: what follows the name, which may have blanks and brackets, from the third field on.
std::optional<ProcessStat> read_stat(const std::string& proc) {
  std::ifstream file(proc + "/self/stat");
  std::string line;
  std::getline(file, line);
  const auto end = line.rfind(')');
  if (!file || end == std::string::npos) return std::nullopt;
  constexpr std::size_t kFirstAfterName = 3;
  constexpr std::size_t kUserTimeField = 14;
  constexpr std::size_t kStartField = 22;
  std::array<double, 25> field{};
  std::istringstream rest(line.substr(end + 1));
  std::string word;
  for (std::size_t number = kFirstAfterName; number < field.size(); ++number) {
    if (!(rest >> word)) return std::nullopt;
    if (number >= kUserTimeField) field[number] = std::strtod(word.c_str(), nullptr);
  }
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  ProcessStat stat;
  stat.cpu_seconds = (field[kUserTimeField] + field[kUserTimeField + 1]) / ticks;
  stat.started = field[kStartField] / ticks;
  stat.virtual_bytes = static_cast<std::uint64_t>(field[kStartField + 1]);
  stat.resident_bytes =
      static_cast<std::uint64_t>(field[kStartField + 2]) * static_cast<std::uint64_t>(::getpagesize());
  return stat;
}

// In seconds since 1970.
std::optional<double> boot_time(const std::string& proc) {
  std::ifstream file(proc + "/stat");
  std::string line;
  constexpr std::string_view kName = "btime ";
  while (std::getline(file, line)) {
    if (line.starts_with(kName)) return std::strtod(line.c_str() + kName.size(), nullptr);
  }
  return std::nullopt;
}

std::optional<std::size_t> open_descriptors(const std::string& proc) {
  std::error_code failed;
  std::size_t count = 0;
  auto entry = std::filesystem::directory_iterator(proc + "/self/fd", failed);
  for (; !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) ++count;
  if (failed || count == 0) return std::nullopt;
  return count - 1;  // one of them is the look itself
}

void add_one(Families& families, prometheus::MetricFamily one, double value) {
  one.name.erase(0, std::string_view("buildwarden_").size());
  add(one, {}, value);
  families.push_back(std::move(one));
}

}  // namespace

void add_process(Families& families, const std::string& proc) {
  if (const auto stat = read_stat(proc)) {
    add_one(families, counters("process_cpu_seconds_total", "User and system time of the process, in seconds."),
            stat->cpu_seconds);
    add_one(families, gauges("process_resident_memory_bytes", "Memory of the process that is resident, in bytes."),
            static_cast<double>(stat->resident_bytes));
    add_one(families, gauges("process_virtual_memory_bytes", "Virtual memory of the process, in bytes."),
            static_cast<double>(stat->virtual_bytes));
    const auto booted = boot_time(proc);
    if (booted) {
      add_one(families, gauges("process_start_time_seconds", "When the process began, in seconds since 1970."),
              *booted + stat->started);
    }
  }
  if (const auto open = open_descriptors(proc)) {
    add_one(families, gauges("process_open_fds", "File descriptors that are open."), static_cast<double>(*open));
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    add_one(families, gauges("process_max_fds", "File descriptors that may be open."),
            static_cast<double>(limit.rlim_cur));
  }
}

}  // namespace buildwarden::telemetry
