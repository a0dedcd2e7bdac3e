// The binfmt image as a source of handlers: QEMU and a program that registers it, in a container.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "daemon/ports/engine.h"

namespace buildwarden::emulation {

// What tonistiigi/binfmt prints: {"supported":["linux/amd64",…],"emulators":["qemu-aarch64",…]}. kProtocol: not that.
struct ImageAnswer {
  std::vector<std::string> supported;
  std::vector<std::string> emulators;
};
Result<ImageAnswer> decode_answer(std::string_view output);

// For one coroutine at a time. All outlive it.
class ImageRegistrar {
 public:
  struct Parts {
    ports::Images& images;
    ports::ImageSource& source;
    ports::ContainerControl& control;
    ports::ContainerOutput& output;
  };
  explicit ImageRegistrar(Parts parts) : parts_(parts) {}

  // Fetches the image where it is not there, has it install the handlers of `platforms`, and removes the container.
  // It exits 0 whatever happened and leaves a handler that it finds as it is, so what it says is looked at, and only
  // executing proves anything. Its handlers bear its own names: they are never ours to remove. kIo: it did not say that
  // it supports all of them; the words of its stderr are in the message.
  ports::Async<void> install(std::string image, std::vector<std::string> platforms);

 private:
  ports::Async<void> provide(std::string image);
  ports::Async<std::string> run(std::string image, std::vector<std::string> platforms, std::string* errors);

  Parts parts_;
};

}  // namespace buildwarden::emulation
