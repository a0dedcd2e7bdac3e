// A folder of its own for each test, and a request that reads nothing of the host's.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "config/load.h"

namespace buildwarden::config {

class ConfigTest : public ::testing::Test {
 public:
  ConfigTest() {
    std::string pattern = ::testing::TempDir() + "buildwarden-config-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    dir_ = pattern;
    for (const auto* key : {"cfn_env", "agent_env", "daemon_json", "docker_binfmt_env", "docker_drop_ins"}) {
      request_.overrides[std::string("paths.") + key] = file(key);
    }
    request_.yaml_path = file("conf.yaml");
  }
  ~ConfigTest() override { std::filesystem::remove_all(dir_); }
  ConfigTest(const ConfigTest&) = delete;
  ConfigTest& operator=(const ConfigTest&) = delete;

 protected:
  [[nodiscard]] std::string file(const std::string& name) const { return dir_ + "/" + name; }

  void write(const std::string& name, std::string_view text) const {
    std::ofstream out(file(name), std::ios::binary);
    out << text;
  }

  // All mistakes of this YAML, with "F" for the file's path; "" when it is fine.
  std::string mistakes_of(std::string_view yaml) {
    write("conf.yaml", yaml);
    const auto loaded = load(request_);
    return loaded ? "" : shorten(loaded.error().message());
  }

  [[nodiscard]] std::string shorten(std::string text) const {
    for (auto at = text.find(dir_ + "/"); at != std::string::npos; at = text.find(dir_ + "/")) {
      text.erase(at, dir_.size() + 1);
    }
    for (auto at = text.find("conf.yaml"); at != std::string::npos; at = text.find("conf.yaml"))
      text.replace(at, 9, "F");
    return text;
  }

  // Loads what must be loadable.
  Loaded loaded() {
    auto result = load(request_);
    if (!result) {
      ADD_FAILURE() << result.error().message();
      return {};
    }
    return *std::move(result);
  }

  // "value < source < location" of one key, "" without it.
  [[nodiscard]] std::string row(const Loaded& all, std::string_view key) const {
    for (const auto& value : all.values) {
      if (value.key == key) return shorten(value.value + " < " + value.source + " < " + value.location);
    }
    return "";
  }

  [[nodiscard]] std::string warnings(const Loaded& all) const {
    std::string text;
    for (const auto& warning : all.warnings) text += (text.empty() ? "" : "\n") + warning;
    return shorten(text);
  }

  std::string dir_;
  LoadRequest request_;
};

}  // namespace buildwarden::config
