// The configuration's files: the YAML, and the files of the stack. Whatever stands in them, `load` answers with
// settings or with mistakes, and only the YAML can be refused.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/buildkitd_file.h"
#include "config/docker_service.h"
#include "config/load.h"
#include "tests/fuzz/fuzz.h"

namespace buildwarden::fuzz {
namespace {

// Of this process, in memory where there is such a folder.
class Files {
 public:
  Files() : folder_(new_folder()) {}
  ~Files() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, std::string_view text) const { std::ofstream(path(name)) << text; }

 private:
  std::string folder_;
};

constexpr const char* kOthers[] = {"cfn_env", "agent_env", "daemon_json", "docker_binfmt_env", "docker_drop_ins"};

std::string where_the_others_are(const Files& files) {
  std::string yaml = "paths: { run: " + files.path("run");
  for (const std::string name : kOthers) yaml += ", " + name + ": " + files.path(name);
  return yaml + " }\n";
}

}  // namespace
}  // namespace buildwarden::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = buildwarden::fuzz;
  static const fuzz::Files files;
  const auto [which, text] = fuzz::choose(data, size, 7);
  if (which == 5) (void)buildwarden::config::check_buildkitd_file("f", std::string(text));
  if (which == 6) (void)buildwarden::config::parse_unit_environment(text);
  if (which > 4) return 0;
  const auto yaml = fuzz::where_the_others_are(files);
  buildwarden::config::LoadRequest request;
  request.yaml_path = files.path("yaml");
  files.write("yaml", which == 0 ? text : yaml);
  for (int at = 0; at < 4; ++at) files.write(fuzz::kOthers[at], at == which - 1 ? text : "");
  const auto loaded = buildwarden::config::load(request);
  if (!loaded) {
    fuzz::expect(which == 0 && !loaded.error().message().empty());
    return 0;
  }
  fuzz::expect(!loaded->values.empty() && !buildwarden::config::describe_json(*loaded).empty());
  return 0;
}
