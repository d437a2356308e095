#!/usr/bin/env bash
# A real SLURM of one node, shaped like JASMIN's LOTUS2: partitions standard and debug, and with accounting its QoS.
#
#   FOLDER=/tmp/lab cluster.sh install|start|check|env|stop
#   ACCOUNTING=1   accounts and the limits of each QoS too; needs slurmdbd and MariaDB, and ten seconds more
#
# All state lies in $FOLDER. There is no systemd, and /etc/slurm stays empty: other programs must not find this cluster.
# What runs already is left alone by `start`, so that it brings back the one daemon that a test has killed.
set -euo pipefail

daemons=(munged mariadbd slurmdbd slurmctld slurmd)  # in the order in which they need each other
packages=(slurmctld slurmd slurm-client munge)
commands=(sbatch squeue scancel scontrol sinfo srun sacct sacctmgr sshare)
: "${ACCOUNTING:=}" "${PORT:=26817}"
host=$(hostname -s)
user=$(id -un)

if [ "${1:-}" = install ]; then
  # mariadb-server-core has the server alone; mariadb-server would bring 190 MB more.
  [ -z "$ACCOUNTING" ] || packages+=(slurmdbd slurm-wlm-mysql-plugin mariadb-server-core)
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" > /dev/null
  exit
fi

folder=$(realpath -m "${FOLDER:?the folder of the cluster}")
socket=$folder/munge/socket
export SLURM_CONF=$folder/slurm.conf PATH=$folder/bin:$PATH:/usr/sbin:/sbin

# Prints the configuration; a line about accounting or a QoS only where there is a database behind it.
configuration() {
  cat << END
ClusterName=lotus
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmdPort=$((PORT + 1))
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.own
SlurmdPidFile=$folder/run/slurmd.own
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
MpiDefault=none
SwitchType=switch/none
# Cgroups need rights that containers do not give. Memory is watched instead, once a second, and what takes too much
# is killed.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2
# More CPUs than the machine may have, so that jobs run side by side.
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 State=UNKNOWN
PartitionName=standard Nodes=$host Default=YES MaxTime=5-00:00:00 DefaultTime=01:00:00 DefMemPerCPU=1024 ${ACCOUNTING:+AllowQos=standard,short,long,high}
PartitionName=debug Nodes=$host MaxTime=01:00:00 DefaultTime=00:30:00 DefMemPerCPU=1024 ${ACCOUNTING:+AllowQos=debug}
END
  [ -n "$ACCOUNTING" ] || return 0
  cat << END
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT + 2))
# Towards slurmdbd this, and not AuthInfo, names munge's socket.
AccountingStoragePass=$socket
AccountingStorageEnforce=associations,limits,qos
END
}

database_configuration() {
  cat << END
AuthType=auth/munge
AuthInfo=socket=$socket
DbdHost=$host
DbdAddr=127.0.0.1
DbdPort=$((PORT + 2))
SlurmUser=$user
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=lab
LogFile=$folder/log/slurmdbd.log
PidFile=$folder/run/slurmdbd.own
END
}

# The tables of a new database: mariadb-install-db would do it, but needs a program of another 100 MB.
bootstrap() {
  mkdir -p "$folder/mariadb/mysql"
  {
    echo "USE mysql;"
    cat /usr/share/mysql/mysql_{system_tables,performance_tables,system_tables_data}.sql
    printf '%s\n' "FLUSH PRIVILEGES;" "CREATE DATABASE slurm_acct_db;" "CREATE USER slurm@localhost IDENTIFIED BY 'lab';" \
      "GRANT ALL ON slurm_acct_db.* TO slurm@localhost;"
  } | mariadbd --no-defaults --bootstrap --user="$user" --datadir="$folder/mariadb" --innodb-log-file-size=8M
}

# The limits of each QoS of LOTUS2, as help.jasmin.ac.uk had them in March 2026; what exceeds them is not accepted.
quality_of_service() {
  sacctmgr -i add cluster lotus
  local name limits
  while read -r name limits; do
    sacctmgr -i add qos "$name"
    # shellcheck disable=SC2086
    sacctmgr -i modify qos "$name" set Flags=DenyOnLimit $limits
  done << END
standard Priority=500 MaxTRESPerJob=cpu=1,mem=128G MaxWall=1-00:00:00
short Priority=550 MaxTRESPerJob=cpu=1,mem=200G MaxWall=04:00:00
long Priority=350 MaxTRESPerJob=cpu=1,mem=128G MaxWall=5-00:00:00
high Priority=450 MaxTRESPerJob=cpu=96,mem=1000G MaxWall=2-00:00:00
debug Priority=500 MaxTRESPerJob=cpu=8 MaxWall=01:00:00
END
  sacctmgr -i add account mygws Description=lab Organization=lab
  sacctmgr -i add user "$user" Account=mygws QOS=standard,short,long,high,debug DefaultQOS=standard
}

# A process that has ended and that nobody has waited for is not alive: in a container nobody may.
alive() { [ -s "$folder/run/$1" ] && grep -q '^State:[[:space:]]*[^ZX]' "/proc/$(< "$folder/run/$1")/status" 2> /dev/null; }

# Starts a daemon in a session of its own, unless it runs; its process is what stop will end, and nothing else.
launch() {
  ! alive "$1" || return 0
  setsid "$@" > "$folder/log/$1.out" 2>&1 < /dev/null &
  echo $! > "$folder/run/$1"
}

await() {
  local end=$((SECONDS + 30))
  until "$@" > /dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then
      echo "after 30 s still waiting for: $*" >&2
      tail -n 20 "$folder"/log/* >&2
      return 1
    fi
    sleep 0.1
  done
}

node_is_up() { sinfo -h -o %t | grep -qE '^(idle|mix|alloc|comp)$'; }

start() {
  (umask 022 && mkdir -p "$folder"/{bin,log,munge,run,spool,state})
  configuration > "$SLURM_CONF"
  # The executor's jobs lose SLURM_CONF from their environment: it is these commands that bring it back to srun.
  local name
  for name in "${commands[@]}"; do
    printf '#!/bin/sh\nSLURM_CONF=%s exec /usr/bin/%s "$@"\n' "$SLURM_CONF" "$name" > "$folder/bin/$name"
    chmod +x "$folder/bin/$name"
  done
  [ -s "$folder/munge/key" ] || (umask 077 && head -c 128 /dev/urandom > "$folder/munge/key")
  launch munged --foreground --force --socket="$socket" --key-file="$folder/munge/key" --seed-file="$folder/munge/seed" \
    --pid-file="$folder/run/munged.own" --log-file="$folder/log/munged.log"
  await munge --socket="$socket" --no-input
  if [ -n "$ACCOUNTING" ]; then
    (umask 077 && database_configuration > "$folder/slurmdbd.conf")
    [ -d "$folder/mariadb" ] || bootstrap > "$folder/log/bootstrap.out" 2>&1
    export MYSQL_UNIX_PORT=$folder/run/mariadb.socket
    launch mariadbd --no-defaults --user="$user" --datadir="$folder/mariadb" --socket="$MYSQL_UNIX_PORT" \
      --pid-file="$folder/run/mariadbd.own" --skip-networking --innodb-buffer-pool-size=64M --innodb-log-file-size=8M \
      --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0
    await test -S "$MYSQL_UNIX_PORT"
    launch slurmdbd -D
    await sacctmgr -n list cluster
    [ -n "$(sacctmgr -n list account mygws)" ] || quality_of_service > "$folder/log/sacctmgr.out" 2>&1
  fi
  launch slurmctld -D -f "$SLURM_CONF"
  await scontrol ping
  launch slurmd -D -f "$SLURM_CONF"
  await node_is_up
}

stop() {
  local i name process
  for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
    name=${daemons[i]}
    alive "$name" || continue
    process=$(< "$folder/run/$name")
    kill "$process"
    for _ in $(seq 100); do alive "$name" || break; sleep 0.1; done
    ! alive "$name" || kill -9 "$process"
    rm -f "$folder/run/$name"
  done
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  check) timeout 60 srun --partition=debug ${ACCOUNTING:+--account=mygws --qos=debug} --time=1 --mem=50 hostname ;;
  env) echo "export SLURM_CONF=$SLURM_CONF PATH=$folder/bin:\$PATH" ;;
  *) sed -n '2,9s/^# \?//p' "$0" && exit 2 ;;
esac
