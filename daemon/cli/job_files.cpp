#include "daemon/cli/job_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <cctype>
#include <optional>

#include "common/atomic_file.h"
#include "common/format.h"
#include "common/shell_quote.h"
#include "daemon/cli/answer.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

bool is_plain_segment(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." && segment.find('\0') == std::string_view::npos;
}

// Relative, and each of its segments is a name.
bool is_plain_path(std::string_view path) {
  if (path.empty()) return false;
  for (;;) {
    const auto slash = path.find('/');
    if (!is_plain_segment(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

// Whether a folder between `folder` and the last segment of `path` is there as something else than a folder.
bool leads_elsewhere(const std::string& folder, const std::string& path) {
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    struct stat info{};
    const auto part = folder + '/' + path.substr(0, slash);
    if (::lstat(part.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) return true;
  }
  return false;
}

Result<void> check_path(const std::string& folder, const std::string& path) {
  if (is_plain_path(path) && !leads_elsewhere(folder, path)) return {};
  return Error(Errc::kDenied, format("the file \"{}\" would not be below {}", path, folder));
}

Result<void> write_one(const std::string& folder, const std::string& path, const std::string& content) {
  const auto full = folder + '/' + path;
  auto made = make_folders(full.substr(0, full.rfind('/')), 0700);
  if (!made) return made;
  return write_file_atomically(full, content, 0600);
}

bool is_name(std::string_view name) {
  const auto fits = [](unsigned char c) { return c == '_' || (c < 0x80 && std::isalnum(c) != 0); };
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  return std::all_of(name.begin(), name.end(), fits);
}

// An instance without `default-load`; nothing when it has none.
std::optional<std::string> plain_instance(std::string_view instance) {
  boost::system::error_code unreadable;
  auto root = json::parse(json::string_view(instance.data(), instance.size()), unreadable);
  auto* object = root.if_object();
  auto* nodes = object == nullptr ? nullptr : object->if_contains("Nodes");
  if (nodes == nullptr || !nodes->is_array()) return std::nullopt;
  bool changed = false;
  for (auto& node : nodes->get_array()) {
    auto* options = node.is_object() ? node.get_object().if_contains("DriverOpts") : nullptr;
    if (options == nullptr || !options->is_object() || !options->get_object().contains("default-load")) continue;
    options->get_object().erase("default-load");
    changed = true;
  }
  if (!changed) return std::nullopt;
  return json::serialize(root);
}

}  // namespace

std::string buildx_folder(const Context& context) {
  auto folder = context.env("BUILDX_CONFIG");
  if (!folder.empty()) return folder;
  const auto docker = context.env("DOCKER_CONFIG");
  return docker.empty() ? "" : docker + "/buildx";
}

Result<void> write_job_files(const std::string& folder, const json::array& files) {
  for (const auto& file : files) {
    auto checked = check_path(folder, text(file, "path"));
    if (!checked) return checked;
  }
  for (const auto& file : files) {
    auto written = write_one(folder, text(file, "path"), text(file, "content"));
    if (!written) return written;
  }
  return {};
}

json::array without_default_load(json::array files) {
  for (auto& file : files) {
    const auto plain = plain_instance(text(file, "content"));
    if (plain) file.as_object()["content"] = *plain;
  }
  return files;
}

std::string export_lines(const Context& context, const json::value& env, std::string_view without) {
  std::string lines;
  const auto* variables = env.if_object();
  if (variables == nullptr) return lines;
  for (const auto& [key, value] : *variables) {
    const std::string_view name(key.data(), key.size());
    const auto* content = value.if_string();
    if (name == without) continue;
    if (!is_name(name) || content == nullptr || content->find('\0') != json::string::npos) {
      complain(context, format("the variable \"{}\" cannot be exported and is left out", name));
      continue;
    }
    lines += format("export {}={}\n", name, shell_quote({content->data(), content->size()}));
  }
  return lines;
}

}  // namespace buildwarden::cli
