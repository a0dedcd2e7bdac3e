// A program on the other end of a pipe, for content of any size. It does not outlive the thread that started it.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"

namespace buildwarden::seeds {

class PipeProgram {
 public:
  enum class Direction : unsigned char { kFromIt, kToIt };
  // kNotFound, kDenied: it cannot be executed.
  static Result<PipeProgram> start(const std::vector<std::string>& command, Direction direction);
  PipeProgram(PipeProgram&& other) noexcept;
  PipeProgram& operator=(PipeProgram&&) = delete;
  ~PipeProgram();  // kills it when finish() was not called

  [[nodiscard]] int descriptor() const { return ours_.get(); }
  // Closes our end and waits for its end. kIo with its last words when that is not 0.
  Result<void> finish();
  // What it wrote to standard error so far, at most 4 KiB.
  [[nodiscard]] std::string words() const;

 private:
  PipeProgram(int pid, UniqueFd ours, UniqueFd errors)
      : pid_(pid), ours_(std::move(ours)), errors_(std::move(errors)) {}

  int pid_;
  UniqueFd ours_;
  UniqueFd errors_;  // a file in memory
};

}  // namespace buildwarden::seeds
