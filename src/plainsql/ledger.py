from collections import deque
from plainsql.errors import PoolClosed
class Slot:
    __slots__ = ("raw","state","born","expires","released","epoch","holder","taken")
    def __init__(self): self.raw=None; self.state="connecting"; self.born=self.expires=self.released=self.taken=0.0; self.epoch=0; self.holder=None
class Waiter:
    __slots__=("state","slot","error","wake")
    def __init__(self,wake): self.state="waiting"; self.slot=None; self.error=None; self.wake=wake
class PoolStatus:
    def __init__(self,**k): self.__dict__.update(k)
class Ledger:
    def __init__(self,size,max_overflow,recycle):
        self.size=size; self.max=size+max_overflow if max_overflow>=0 else 10**9; self.recycle=recycle
        self.idle=[]; self.all=set(); self.waiters=deque(); self.stale=[]; self.epoch=0
    def take(self,now):
        if self.waiters: return None
        while self.idle:
            s=self.idle.pop()
            if s.expires<=now: self.all.discard(s); self.stale.append(s); continue
            s.state="busy"; s.taken=now; return s
        if len(self.all)<self.max:
            s=Slot(); self.all.add(s); return s
        return None
    def enqueue(self,w): self.waiters.append(w)
    def opened(self,s,raw,now,life): s.raw=raw; s.state="busy"; s.born=s.taken=now; s.expires=now+life if life>=0 else 1e18; s.epoch=self.epoch
    def reopen(self,s): s.raw=None; s.state="connecting"
    def release(self,s,now):
        s.released=now
        if self.waiters:
            w=self.waiters.popleft(); w.slot=s; w.state="assigned"; return w
        if s.expires<=now or len(self.idle)>=self.size: self.all.discard(s); self.stale.append(s); return None
        s.state="idle"; self.idle.append(s)
    def discard(self,s):
        self.all.discard(s)
        if self.waiters:
            w=self.waiters.popleft(); w.slot=Slot(); self.all.add(w.slot); return w
    def abandon(self,w):
        if w.slot: return w.slot
        try: self.waiters.remove(w)
        except ValueError: pass
    def timed_out(self): pass
    def holders(self): return [s.holder for s in self.all if s.holder]
    def fail_waiters(self,e):
        l=list(self.waiters); self.waiters.clear()
        for w in l: w.error=e
        return l
    def suspect(self): self.epoch+=1
    def drain_stale(self): l,self.stale=self.stale,[]; return l
    def empty(self): l,self.idle=self.idle,[]; self.all-=set(l); return l
    def close(self): return self.empty(),[]
    def reset_after_fork(self): l=list(self.all); self.all.clear(); self.idle.clear(); return l
    def status(self): return PoolStatus(size=self.size,max=self.max,busy=len(self.all)-len(self.idle),idle=len(self.idle),connecting=0,waiting=len(self.waiters))
