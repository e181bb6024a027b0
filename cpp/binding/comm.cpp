// Communicators at the boundary: collectives between the ranks of a job.
#include <napi.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/binding/wait.h"
#include "cpp/comm/communicator.h"
#include "cpp/comm/mpi.h"
#include "cpp/comm/nccl.h"
#include "cpp/core/check.h"

namespace srpo::binding {
namespace {

using comm::Communicator;
using CommRef = std::shared_ptr<Communicator>;

constexpr napi_type_tag kCommTag = {0x7372706f2d6e6174, 0x697665636f6d6d73};

Napi::Value comm_handle(Napi::Env env, CommRef communicator) {
  auto handle = Napi::External<CommRef>::New(env, new CommRef(std::move(communicator)),
                                             [](Napi::Env, CommRef* ref) { delete ref; });
  napi_type_tag_object(env, handle, &kCommTag);
  return handle;
}

/// Empty once closed.
CommRef& ref_of(const Napi::CallbackInfo& info) {
  bool tagged = false;
  if (info[0].Type() != napi_external ||
      napi_check_object_type_tag(info.Env(), info[0], &kCommTag, &tagged) != napi_ok || !tagged)
    refuse("ERR_TYPE", "communicator", "communicator", "an open one", "something else");
  return *info[0].As<Napi::External<CommRef>>().Data();
}

Communicator& comm_of(const Napi::CallbackInfo& info) {
  const CommRef& ref = ref_of(info);
  if (!ref) refuse("ERR_DISPOSED", "communicator", "communicator", "an open one", "a closed one");
  return *ref;
}

// mpiBegin(path) -> [rank, size]: opens the library at `path` and begins MPI
Napi::Value mpi_begin(const Napi::CallbackInfo& info) {
  const Arguments args(info, "mpi");
  const auto engine = comm::open_mpi(args.text(0, "path"));
  const auto array = Napi::Array::New(info.Env(), 2);
  array.Set(0u, engine->rank());
  array.Set(1u, engine->size());
  return array;
}

// mpiVersion(path) -> "Open MPI v4.1.4 ..."
Napi::Value mpi_version(const Napi::CallbackInfo& info) {
  const Arguments args(info, "mpi");
  return Napi::String::New(info.Env(), comm::mpi_version(args.text(0, "path")));
}

// mpiShare(bytes, root): root's bytes to all, before anything is enqueued
Napi::Value mpi_share(const Napi::CallbackInfo& info) {
  const Arguments args(info, "mpi");
  const auto [data, bytes] = args.bytes(0, "bytes");
  comm::share_by_mpi(data, bytes, static_cast<int>(args.integer(1, "root")));
  return info.Env().Undefined();
}

// commOpenMpi(path, device) -> communicator
Napi::Value comm_open_mpi(const Napi::CallbackInfo& info) {
  const Arguments args(info, "communicator");
  const Device device = args.device(1, "device");
  if (device.kind == DeviceKind::kCuda)
    refuse("ERR_DEVICE", "communicator", "device", "cpu or emulated for MPI", name_of(device));
  backend_of(device);
  return comm_handle(info.Env(),
                     std::make_shared<Communicator>(device, comm::open_mpi(args.text(0, "path"))));
}

// ncclVersion(path) -> "2.30.7, libnccl.so.2"
Napi::Value nccl_version(const Napi::CallbackInfo& info) {
  const Arguments args(info, "nccl");
  return Napi::String::New(info.Env(), comm::nccl_version(args.text(0, "path")));
}

// ncclId(path) -> Uint8Array of 128 bytes
Napi::Value nccl_id(const Napi::CallbackInfo& info) {
  const Arguments args(info, "nccl");
  const comm::NcclId id = comm::nccl_id(args.text(0, "path"));
  auto bytes = Napi::Uint8Array::New(info.Env(), id.size());
  std::copy(id.begin(), id.end(), bytes.Data());
  return bytes;
}

/// Meets the others on a thread of its own: it takes until the last has come.
class NcclMeeting : public Napi::AsyncWorker {
 public:
  NcclMeeting(Napi::Env env, std::string path, Device device, int rank, int size, comm::NcclId id)
      : AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        path_(std::move(path)),
        device_(device),
        rank_(rank),
        size_(size),
        id_(id) {}
  Napi::Value promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      engine_ = comm::open_nccl(path_, device_, rank_, size_, id_);
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
  void OnOK() override {
    if (failure_)
      deferred_.Reject(js_error(Env(), failure_).Value());
    else
      deferred_.Resolve(comm_handle(Env(), std::make_shared<Communicator>(device_, engine_)));
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::string path_;
  Device device_;
  int rank_, size_;
  comm::NcclId id_;
  std::shared_ptr<comm::Engine> engine_;
  std::exception_ptr failure_;
};

// commOpenNccl(path, device, rank, size, id) -> Promise<communicator>
Napi::Value comm_open_nccl(const Napi::CallbackInfo& info) {
  const Arguments args(info, "communicator");
  const Device device = args.device(1, "device");
  backend_of(device);
  const auto [data, bytes] = args.bytes(4, "id");
  comm::NcclId id;
  if (bytes != id.size())
    refuse("ERR_RANGE", "communicator", "id", std::to_string(id.size()) + " bytes",
           std::to_string(bytes));
  std::copy_n(static_cast<const char*>(data), bytes, id.begin());
  auto* meeting = new NcclMeeting(info.Env(), args.text(0, "path"), device,
                                  static_cast<int>(args.integer(2, "rank")),
                                  static_cast<int>(args.integer(3, "size")), id);
  const Napi::Value promise = meeting->promise();
  meeting->Queue();
  return promise;
}

// commAllReduce(communicator, t, max)
Napi::Value comm_all_reduce(const Napi::CallbackInfo& info) {
  const Arguments args(info, "allReduce");
  comm_of(info).all_reduce(args.tensor(1, "t"),
                           args.boolean(2, "max") ? comm::Reduction::kMax : comm::Reduction::kSum);
  return info.Env().Undefined();
}

// commReduceScatter(communicator, input, output)
Napi::Value comm_reduce_scatter(const Napi::CallbackInfo& info) {
  const Arguments args(info, "reduceScatter");
  comm_of(info).reduce_scatter(args.tensor(1, "input"), args.tensor(2, "output"));
  return info.Env().Undefined();
}

/// Empty once waited for.
using AsideRef = std::shared_ptr<Aside>;

constexpr napi_type_tag kPendingTag = {0x7372706f2d6e6174, 0x6976652070656e64};

Napi::Value pending_handle(Napi::Env env, AsideRef aside) {
  auto handle = Napi::External<AsideRef>::New(env, new AsideRef(std::move(aside)),
                                              [](Napi::Env, AsideRef* ref) { delete ref; });
  napi_type_tag_object(env, handle, &kPendingTag);
  return handle;
}

// commReduceScatterAside(communicator, input, output) -> pending
Napi::Value comm_reduce_scatter_aside(const Napi::CallbackInfo& info) {
  const Arguments args(info, "reduceScatter");
  return pending_handle(info.Env(), comm_of(info).reduce_scatter_aside(args.tensor(1, "input"),
                                                                       args.tensor(2, "output")));
}

// commAllGatherAside(communicator, input, output) -> pending
Napi::Value comm_all_gather_aside(const Napi::CallbackInfo& info) {
  const Arguments args(info, "allGather");
  return pending_handle(info.Env(), comm_of(info).all_gather_aside(args.tensor(1, "input"),
                                                                   args.tensor(2, "output")));
}

// commWait(pending): what is enqueued from here on comes after it; once
Napi::Value comm_wait(const Napi::CallbackInfo& info) {
  bool tagged = false;
  if (info[0].Type() != napi_external ||
      napi_check_object_type_tag(info.Env(), info[0], &kPendingTag, &tagged) != napi_ok || !tagged)
    refuse("ERR_TYPE", "wait", "pending", "a collective that is under way", "something else");
  AsideRef& ref = *info[0].As<Napi::External<AsideRef>>().Data();
  if (ref) ref->join();
  ref.reset();
  return info.Env().Undefined();
}

// commAllGather(communicator, input, output)
Napi::Value comm_all_gather(const Napi::CallbackInfo& info) {
  const Arguments args(info, "allGather");
  comm_of(info).all_gather(args.tensor(1, "input"), args.tensor(2, "output"));
  return info.Env().Undefined();
}

// commBroadcast(communicator, t, root)
Napi::Value comm_broadcast(const Napi::CallbackInfo& info) {
  const Arguments args(info, "broadcast");
  comm_of(info).broadcast(args.tensor(1, "t"), args.integer(2, "root"));
  return info.Env().Undefined();
}

// commBarrier(communicator) -> Promise<void>
Napi::Value comm_barrier(const Napi::CallbackInfo& info) {
  Communicator& communicator = comm_of(info);
  communicator.barrier();
  return promise_of(info.Env(), stream_of(communicator.device()),
                    [](Napi::Env env) { return env.Undefined(); });
}

// commProgress(communicator) -> { submitted, started, ended, name, bytes, seconds, running, failure }
Napi::Value comm_progress(const Napi::CallbackInfo& info) {
  Communicator& communicator = comm_of(info);
  const comm::Progress& progress = communicator.progress();
  const Napi::Env env = info.Env();
  auto result = Napi::Object::New(env);
  const auto set = [&](const char* name, double value) {
    result.Set(name, Napi::Number::New(env, value));
  };
  set("submitted", static_cast<double>(progress.submitted));
  set("started", static_cast<double>(progress.started));
  set("ended", static_cast<double>(progress.ended));
  set("bytes", static_cast<double>(progress.bytes));
  set("seconds", static_cast<double>(progress.nanoseconds) * 1e-9);
  set("running", communicator.seconds_running());
  result.Set("name", Napi::String::New(env, progress.name.load()));
  const char* failure = communicator.engine().failure();
  result.Set("failure", failure == nullptr ? env.Null() : Napi::String::New(env, failure));
  return result;
}

// commClose(communicator): its last work has ended, here and on all other ranks
Napi::Value comm_close(const Napi::CallbackInfo& info) {
  comm_of(info).engine().close();
  ref_of(info).reset();
  return info.Env().Undefined();
}

// tcpCutOff(descriptor, ms)
Napi::Value tcp_cut_off(const Napi::CallbackInfo& info) {
  const Arguments args(info, "tcp");
  const int socket = static_cast<int>(args.integer(0, "descriptor"));
  const int ms = static_cast<int>(args.integer(1, "ms"));
  const auto set = [socket](int level, int name, int value) {
    return setsockopt(socket, level, name, &value, sizeof value) == 0;
  };
  const int seconds = std::max(1, ms / 3000);
  const bool done = set(SOL_SOCKET, SO_KEEPALIVE, 1) && set(IPPROTO_TCP, TCP_KEEPIDLE, seconds) &&
                    set(IPPROTO_TCP, TCP_KEEPINTVL, seconds) && set(IPPROTO_TCP, TCP_KEEPCNT, 3) &&
                    set(IPPROTO_TCP, TCP_USER_TIMEOUT, ms);
  return Napi::Boolean::New(info.Env(), done);
}

// leaveAtOnce(code): ends the process, whatever the devices' threads are waiting for
Napi::Value leave_at_once(const Napi::CallbackInfo& info) {
  const Arguments args(info, "leave");
  ::_exit(static_cast<int>(args.integer(0, "code")));
}

}  // namespace

void register_comm(Napi::Env env, Napi::Object exports) {
  define<mpi_begin>(env, exports, "mpiBegin");
  define<mpi_version>(env, exports, "mpiVersion");
  define<mpi_share>(env, exports, "mpiShare");
  define<comm_open_mpi>(env, exports, "commOpenMpi");
  define<nccl_version>(env, exports, "ncclVersion");
  define<nccl_id>(env, exports, "ncclId");
  define<comm_open_nccl>(env, exports, "commOpenNccl");
  define<comm_all_reduce>(env, exports, "commAllReduce");
  define<comm_reduce_scatter>(env, exports, "commReduceScatter");
  define<comm_all_gather>(env, exports, "commAllGather");
  define<comm_reduce_scatter_aside>(env, exports, "commReduceScatterAside");
  define<comm_all_gather_aside>(env, exports, "commAllGatherAside");
  define<comm_wait>(env, exports, "commWait");
  define<comm_broadcast>(env, exports, "commBroadcast");
  define<comm_barrier>(env, exports, "commBarrier");
  define<comm_progress>(env, exports, "commProgress");
  define<comm_close>(env, exports, "commClose");
  define<tcp_cut_off>(env, exports, "tcpCutOff");
  define<leave_at_once>(env, exports, "leaveAtOnce");
}

}  // namespace srpo::binding
