// The binfmt image as a source of handlers: QEMU and a program that registers it, in a container.
#pragma once

#include <string>
#include <string_view>
#include <utility>
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

// The file name of an image's archive: "tonistiigi/binfmt:qemu-v9@sha256:…" is in "tonistiigi-binfmt-qemu-v9.tar".
std::string archive_name(std::string_view image);

// For one coroutine at a time. All outlive it.
class ImageRegistrar {
 public:
  struct Parts {
    ports::Images& images;
    ports::ImageSource& source;
    ports::ContainerControl& control;
    ports::ContainerOutput& output;
    std::string archives;  // the folder of `docker save` archives, which may be absent
  };
  explicit ImageRegistrar(Parts parts) : parts_(std::move(parts)) {}

  // Fetches the image where it is not there, has it install the handlers of `platforms`, and removes the container.
  // It exits 0 whatever happened and leaves a handler that it finds as it is, so what it says is looked at, and only
  // executing proves anything. Its handlers bear its own names: they are never ours to remove. kIo: it did not say that
  // it supports all of them; the words of its stderr are in the message.
  ports::Async<void> install(std::string image, std::vector<std::string> platforms);

  // The name to run the image by, once it is there: present, else from its archive, else pulled. An archive keeps no
  // digest, so an image that is pinned by one has its tag's name when it came from there. Other errors are the
  // engine's.
  ports::Async<std::string> provide(std::string image);

 private:
  ports::Async<std::string> run(std::string image, std::vector<std::string> platforms, std::string* errors);

  Parts parts_;
};

}  // namespace buildwarden::emulation
